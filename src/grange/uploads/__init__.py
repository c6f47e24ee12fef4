"""Files that people send: uploads in pieces, folders made of them, what is known already."""
