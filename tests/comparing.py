"""Numbers beside those of an oracle: the text says which differ, so that a red says it too."""

import numpy as np


def difference(ours, theirs, rtol=0.0, atol=0.0, by="by hand"):
    """What is otherwise in a dict of arrays: which number, both values, by how much; or "".

    ``rtol``, ``atol``: as numpy's, one for all or by name in a dict, where 0 is what is not named.
    """
    if list(ours) != list(theirs):
        return f"there are {', '.join(ours)}, {by} {', '.join(theirs)}"
    found = []
    for name, mine in ours.items():
        mine, other = np.asarray(mine), np.asarray(theirs[name])
        if mine.shape != other.shape:
            found.append(f"{name} has shape {mine.shape}, {by} {other.shape}")
            continue
        relative, absolute = (x.get(name, 0.0) if isinstance(x, dict) else x for x in (rtol, atol))
        wrong = ~np.isclose(mine, other, relative, absolute)
        if wrong.any():
            off = np.abs(np.subtract(mine, other, where=wrong, out=np.zeros(mine.shape)))
            at = np.unravel_index(np.nan_to_num(off, nan=np.inf).argmax(), off.shape)
            place = f"[{', '.join(map(str, at))}]" if at else ""
            values = f"{mine[at]:.10g}, {by} {other[at]:.10g}, difference {off[at]:.3g}"
            found.append(f"{name}{place} is {values}")
    return "; ".join(found)
