"""What makes things from the notebooks: outputs, speeds, slides, pages. Nothing here teaches."""
