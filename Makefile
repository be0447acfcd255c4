# Every target makes .venv and installs lnmdetect into it when that is missing or pyproject.toml changed.
# Another interpreter: make PYTHON=/path/to/python3.12 install

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# What `make test-extras` installs beside the development tools, about 800 MB.
EXTRAS := onnx,openvino,quantize,ray,parquet
EXTRAS_STAMP := $(VENV)/.installed-extras

# What `make test-all` runs: everything, unless ONLY narrows it, as .ci/run does after `make test`.
ONLY ?=

# Seeds of patients that no bundled model has seen in training or validation.
DEMO_SEED  := 9001
HELDOUT_SEED := 9100
# Seed of the patients on whom `make tables` trains and tests; no bundled model has seen them.
TABLES_SEED := 4000
# Seed of the patients on whom `make masks` compares boxes and masks; no bundled model has seen them.
MASKS_SEED := 9600
# Seed of the patients of `make ultrasound`; no bundled model has seen them.
ULTRASOUND_SEED := 9700
# Of what `make ultrasound` builds networks.
MODALITIES := bmode,ceus,finding bmode,ceus bmode,finding ceus,finding bmode ceus finding
# What is taken from networks of all three, and what is left to them.
LOST_LEFT := bmode:ceus,finding ceus:bmode,finding finding:bmode,ceus bmode,ceus:finding bmode,finding:ceus ceus,finding:bmode
FOLDS := 1 2 3 4 5
# Rows of tables 2 and 3, as recipe/modalities.
IN_TABLES := bmode,ceus,finding bmode,ceus bmode ceus
TABLES_2_3 := $(foreach recipe,compact compact-vgg11 compact-inception_v3,$(addprefix $(recipe)/,$(IN_TABLES))) compact/finding
ROWS_OF = $$(for run in $(TABLES_2_3); do echo --fused $$run=test/$$run/$1.json; done)

# Recipes call `lnmdetect` as a user does; make echoes the very commands.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all test-extras check weights heldout bench tables masks ultrasound clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv and install lnmdetect with its development tools
	@echo "lnmdetect is installed. Next: make demo, or $(BIN)/lnmdetect --help"

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "lnmdetect needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo missing)." \
	       "Name a newer one: make PYTHON=/path/to/python3.12 install" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP) ## three unseen phantom patients through all stages, with a picture and a report
	rm -rf demo
	lnmdetect phantom ct --patients 3 --seed $(DEMO_SEED) --setting lifelike -o demo
	cd demo && lnmdetect detect scan/
	cd demo && lnmdetect classify boxes.json
	cd demo && lnmdetect eval --ap50
	cd demo && lnmdetect eval
	cd demo && lnmdetect overlay nodes.json --truth truth.json -o contact_sheet.png
	cd demo && lnmdetect report --by level
	@echo "The picture: $(CURDIR)/demo/contact_sheet.png"
	@echo "The report:  $(CURDIR)/demo/report.html"

test: $(STAMP) ## the quick tests: CPU, no network, under 10 minutes on 2 cores
	$(BIN)/python -m pytest -m "not slow and not server"

test-all: $(STAMP) ## every test, the slow and the real-server ones too
	$(BIN)/python -m pytest $(if $(ONLY),-m "$(ONLY)")

test-extras: $(EXTRAS_STAMP) ## installs the extras and runs the tests that need one
	$(BIN)/python -m pytest -m extra

$(EXTRAS_STAMP): pyproject.toml $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,$(EXTRAS)]'
	@touch $@

check: $(STAMP) ## ruff, formatting, mypy --strict, the layering rules; warnings are errors
	$(BIN)/ruff check lnmdetect tests
	$(BIN)/ruff format --check lnmdetect tests
	$(BIN)/mypy --strict lnmdetect tests
	$(BIN)/python -m pytest -q tests/test_layering.py

weights: $(STAMP) ## train the bundled models from scratch on phantoms (about 2.5 hours on 2 cores, 20 GB)
	$(BIN)/python -m lnmdetect.stages.weights

heldout: $(STAMP) ## 40 held-out phantom patients: AP50, sensitivity, AUC, beside trivial methods
	rm -rf build/heldout
	lnmdetect phantom ct --patients 40 --seed $(HELDOUT_SEED) --setting lifelike -o build/heldout
	cd build/heldout && lnmdetect detect scan/ --precision fp32
	cd build/heldout && lnmdetect classify boxes.json --precision fp32
	cd build/heldout && lnmdetect classify truth.json -o truth_nodes.json --precision fp32
	cd build/heldout && lnmdetect eval --truth-nodes truth_nodes.json -o metrics.json
	cd build/heldout && lnmdetect baselines truth.json

bench: $(STAMP) ## speed and memory on this machine, as ratios: build/bench/bench.md (about 20 minutes on 2 quiet cores)
	lnmdetect speed -o build/bench/bench.json --overwrite

tables: $(STAMP) ## the published tables on 300 phantom patients, as in docs/benchmarks.md (about 5 hours on 2 cores)
	test -f build/tables/truth.json || \
	  lnmdetect phantom ct --patients 300 --seed $(TABLES_SEED) --setting lifelike --key-images 10 -o build/tables
	cd build/tables && for seed in 0 1 2; do \
	  lnmdetect benchmark wang2023-table2 --data truth.json -o table2-seed$$seed --width 0.25 --epochs 6 --seed $$seed || exit; done
	cd build/tables && lnmdetect benchmark wang2023-table3 --data truth.json -o table3 --width 0.25 --epochs 4
	cd build/tables && lnmdetect benchmark wang2023-table4 --data truth.json -o table4 --width 0.25 --size 96 --epochs 14
	cd build/tables && lnmdetect benchmark wang2023-fig8 --data truth.json -o fig8 --width 0.25 --size 96 --epochs 14
	cd build/tables && lnmdetect benchmark lee2019-table1 --data truth.json -o lee --width 0.25 --size 96 --epochs 40 \
	  --budget 5 --test-share 0.23

masks: $(STAMP) ## masks in 3-D as in docs/benchmarks.md: two more trainings, 20 held-out phantom patients (about 3 hours on 2 cores)
	@test -f build/weights/masks/truth.json || { \
	  echo "make masks trains on the phantoms of 'make weights', which are not in build/weights: run that first." >&2; exit 1; }
	test -f build/masks/truth.json || lnmdetect phantom ct --patients 20 --seed $(MASKS_SEED) --setting lifelike -o build/masks
	cd build/masks && for classes in two one; do test -f $$classes/bundle/card.md || lnmdetect train segmenter \
	  --data ../weights/masks/truth.json --recipe compact --classes $$classes -o $$classes --overwrite || exit; done
	cd build/masks && lnmdetect segment scan/ -o three.json --overwrite && lnmdetect eval --nodes three.json -o three_metrics.json \
	  --figures three_figures --overwrite && lnmdetect overlay three.json --truth truth.json --rows -o rows.png --overwrite
	cd build/masks && for classes in two one; do lnmdetect segment scan/ --model $$classes/bundle -o $$classes.json --overwrite && \
	  lnmdetect eval --nodes $$classes.json -o $${classes}_metrics.json --figures $${classes}_figures --overwrite || exit; done
	cd build/masks && lnmdetect classify three.json -o three_classified.json --overwrite && \
	  lnmdetect eval --nodes three_classified.json -o three_classified_metrics.json --overwrite
	cd build/masks && lnmdetect detect scan/ --overwrite && lnmdetect classify boxes.json --overwrite && lnmdetect nodes nodes.json --overwrite
	cd build/masks && lnmdetect eval --compare linked_nodes.json three.json --also three_classified.json -o comparison.json --overwrite

ultrasound: $(STAMP) ## ultrasound as in docs/benchmarks.md: 600 phantom patients, 48 trainings (about 1 hour on 2 cores)
	test -f build/ultrasound/ultrasound.json || \
	  lnmdetect phantom ultrasound --patients 600 --seed $(ULTRASOUND_SEED) -o build/ultrasound
	cd build/ultrasound && lnmdetect split ultrasound.json --folds 5 --write-truth parts -o folds.json --overwrite -q
	cd build/ultrasound && lnmdetect split ultrasound.json --test-share 0.2 -o test.json --overwrite -q
	cd build/ultrasound && for of in $(MODALITIES); do for fold in $(FOLDS); do run=cv/$$of/$$fold; \
	  test -f $$run/bundle/card.md || lnmdetect train fusion --data ultrasound.json --folds folds.json --fold $$fold \
	    --modalities $$of -o $$run --overwrite -q || exit; \
	  lnmdetect fuse parts/ultrasound_fold$$fold.json --model $$run/bundle -o $$run/fused.json --overwrite -q || exit; \
	done; done
	cd build/ultrasound && for pair in $(LOST_LEFT); do lost=$${pair%:*}; for fold in $(FOLDS); do run=cv/bmode,ceus,finding/$$fold; \
	  lnmdetect fuse parts/ultrasound_fold$$fold.json --model $$run/bundle --without $$lost \
	    -o $$run/without_$$lost.json --overwrite -q || exit; \
	done; done
	cd build/ultrasound && lnmdetect eval -o cv.json --figures cv_figures --overwrite \
	  $$(for of in $(MODALITIES); do for fold in $(FOLDS); do \
	    echo --fused $$of=cv/$$of/$$fold/fused.json --curves $$of=cv/$$of/$$fold; done; done)
	cd build/ultrasound && for pair in $(LOST_LEFT); do lost=$${pair%:*}; left=$${pair#*:}; \
	  lnmdetect eval -o missing_$$lost.json --overwrite -q $$(for fold in $(FOLDS); do run=cv/bmode,ceus,finding/$$fold; \
	    echo --fused all=$$run/fused.json --fused without=$$run/without_$$lost.json --fused left=cv/$$left/$$fold/fused.json; done) || exit; \
	done
	cd build/ultrasound && for row in $(TABLES_2_3); do run=test/$$row; \
	  test -f $$run/bundle/card.md || lnmdetect train fusion --data ultrasound.json --folds test.json --fold test \
	    --recipe $${row%/*} --modalities $${row#*/} -o $$run --overwrite -q || exit; \
	  lnmdetect fuse ultrasound.json --model $$run/bundle --patients validation -o $$run/table2.json --overwrite -q && \
	  lnmdetect fuse ultrasound.json --model $$run/bundle --patients unseen -o $$run/table3.json --overwrite -q || exit; \
	done
	cd build/ultrasound && lnmdetect eval --optimistic -o table2.json --figures table2_figures --overwrite $(call ROWS_OF,table2)
	cd build/ultrasound && lnmdetect eval -o table3.json --figures table3_figures --overwrite $(call ROWS_OF,table3)

clean: ## remove caches, build output and the demo's files; .venv and your runs stay
	rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find lnmdetect tests -name __pycache__ -type d -prune -exec rm -rf {} +
