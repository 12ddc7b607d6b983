"""`python -m local.estate`"""

from local.estate.server import main

main()
