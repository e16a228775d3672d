"""From a file's bytes through operations to the files of results: `plan` is what is asked, `render` makes it."""
