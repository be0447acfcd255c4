"""One function a command: paths and options in, a result out, files in between."""
