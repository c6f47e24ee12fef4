"""Files that people send: uploads in pieces, contents kept once, folders that runs work on."""
