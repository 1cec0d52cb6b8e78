"""`tickbridge up` and `demo`: a private broker, the bridge and the page as children of one process."""
