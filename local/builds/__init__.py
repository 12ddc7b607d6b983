"""CodeBuild on the spine: ministack keeps the projects, here builds run, as processes of this machine."""
