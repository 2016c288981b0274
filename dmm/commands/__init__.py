"""The commands of ``dmm``: options, help texts and output; the work is in the other packages."""
