"""python -m tunesmith"""

from tunesmith.cli.main import main

main()
