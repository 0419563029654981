"""What would spoil a result, found in the rows before anything is trained; one kind of flaw a file."""
