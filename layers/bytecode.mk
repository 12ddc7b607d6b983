# A layer's bytecode: included by the layers' own Makefiles, each of which has a link to it in its folder.
#
# Lambda mounts a layer read-only, so that what is not compiled here is compiled at every cold start. `unchecked`,
# since packing and unpacking may change the time of a source, and nobody edits one in a layer. The paths are those
# in Lambda: the same sources give the same files, wherever they are built.

TARGET = $(ARTIFACTS_DIR)/python

.PHONY: compile
compile:
	@command -v python3.13 >/dev/null || { echo "The layer needs python3.13 on PATH, to compile it. \`make build\` brings its own." >&2; exit 2; }
	@find "$(TARGET)" -type d -name __pycache__ -prune -exec rm -rf {} +
	@python3.13 -m compileall -q --invalidation-mode unchecked-hash -s "$(TARGET)" -p /opt/python "$(TARGET)"
