"""The command line: one file a command, each with an `app` that `main` imports when it's called."""
