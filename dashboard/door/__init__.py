"""What stands before page and API: who may come in, how often, and by which headers and certificate it is answered.

`door.py` puts the parts together. `login.py` knows who may come in (`sessions.py` people, `tokens.py` programs),
`gate.py` asks it, `pages.py` is what people see of it. `limits.py` bounds how much is asked, by `buckets.py`.
"""
