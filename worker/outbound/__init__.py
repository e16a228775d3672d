"""HTTP to addresses that clients name: the guarded client, signatures. Imports no other room."""
