"""The door for a browser: a server on this computer, and the page that it gives out."""
