"""The forms that a model can be exported to, one file each; a file's name is the name that --to takes."""
