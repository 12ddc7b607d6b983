"""CodeArtifact for local work: domains, repositories and package versions in memory, and their events.

`python -m local.codeartifact --port 4568 --spine http://127.0.0.1:4566`
"""
