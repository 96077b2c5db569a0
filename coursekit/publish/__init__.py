"""What makes things from the notebooks: outputs, speeds, slides, pages. Nothing here teaches."""

import sys

# nbformat's import compiles 38 grammars of international addresses, for 2.5 s of the processor, and
# no notebook has such an address; jsonschema goes without where the module is missing
sys.modules.setdefault("rfc3987_syntax", None)
