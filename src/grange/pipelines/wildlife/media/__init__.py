"""Videos and stills: read with exact times, drawn upon, written."""
