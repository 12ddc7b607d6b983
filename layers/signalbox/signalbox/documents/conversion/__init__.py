"""Text out of files. One module for each kind of them; `converters` lists them, `sandbox` runs them."""
