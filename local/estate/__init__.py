"""The estate of the embedded AWS: moto's servers with AWS's manners put back.

`python -m local.estate --port 4567 --spine http://127.0.0.1:4566`
"""
