"""`python -m local.codeartifact`"""

from local.codeartifact.server import main

main()
