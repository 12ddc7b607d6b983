# How a layer of third-party libraries is built from its requirements.txt: included by the layers' own Makefiles,
# each of which has a link to it in its folder, since `sam build` copies that folder elsewhere.
#
# SIGNALBOX_ARCHITECTURE     arm64 (default) or x86_64: what the functions run on
# SIGNALBOX_LAYER_PLATFORM   "host" takes wheels for this very machine, where the embedded AWS runs the functions

ARCHITECTURE := $(or $(SIGNALBOX_ARCHITECTURE),arm64)
MACHINE_arm64 := aarch64
MACHINE_x86_64 := x86_64
MACHINE := $(MACHINE_$(ARCHITECTURE))
ifeq ($(MACHINE),)
$(error SIGNALBOX_ARCHITECTURE is "$(ARCHITECTURE)": it must be arm64 or x86_64)
endif

# The runtime is Amazon Linux 2023 (glibc 2.34). pip wants every acceptable tag spelled out; uv knows them.
ifeq ($(SIGNALBOX_LAYER_PLATFORM),host)
UV_PLATFORM :=
PIP_PLATFORM :=
else
UV_PLATFORM := --python-platform $(MACHINE)-manylinux_2_28
PIP_PLATFORM := --implementation cp --python-version 3.13 \
	$(foreach tag,manylinux_2_28 manylinux_2_17 manylinux2014,--platform $(tag)_$(MACHINE))
endif

INSTALL := --no-deps --require-hashes --only-binary :all: --requirement requirements.txt

.PHONY: install-wheels
install-wheels:
	@test -n "$(ARTIFACTS_DIR)" || { echo "ARTIFACTS_DIR is not set: run this through \`make build\`" >&2; exit 2; }
	@if command -v uv >/dev/null; then \
		UV_PYTHON_DOWNLOADS=never uv pip install --quiet --link-mode copy --python-version 3.13 $(UV_PLATFORM) \
			--target "$(TARGET)" $(INSTALL); \
	elif python3.13 -m pip --version >/dev/null 2>&1; then \
		python3.13 -m pip install --quiet --no-compile --disable-pip-version-check $(PIP_PLATFORM) \
			--target "$(TARGET)" $(INSTALL); \
	else \
		echo "The layer needs uv, or python3.13 with pip, on PATH. \`make build\` brings its own." >&2; exit 2; \
	fi
	@# Licences and METADATA stay: the former by their own terms, the latter for importlib.metadata.
	@find "$(TARGET)" -type d -name tests -prune -exec rm -rf {} +
	@find "$(TARGET)" -path '*.dist-info/*' -type f \( -name RECORD -o -name WHEEL -o -name INSTALLER \
		-o -name REQUESTED -o -name top_level.txt -o -name entry_points.txt -o -name '*.json' \) -delete
	@find "$(TARGET)" -type f \( -name '*.pyi' -o -name '*.c' -o -name '*.h' -o -name .lock \) -delete
	@rm -rf "$(TARGET)/bin"
