# Everything a person does with this repository. `make` alone shows the list.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The image's name: $(REGISTRY)/$(USER_NAME)/$(IMAGE):$(TAG); leave REGISTRY empty for Docker Hub.
REGISTRY ?=
USER_NAME ?= $(if $(DOCKER_REGISTRY_USER),$(DOCKER_REGISTRY_USER),autoheal)
IMAGE ?= autoheal
TAG ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
IMAGE_NAME = $(if $(REGISTRY),$(REGISTRY)/)$(USER_NAME)/$(IMAGE)

TARGET_DIR = $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)

.PHONY: help
help: ## this list
	@echo 'autoheal: restarts what is broken, checks that it helped, tells people'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo
	@echo '  image, push, up use $(IMAGE_NAME):$(TAG)'
	@echo '  change it with REGISTRY=ghcr.io USER_NAME=me IMAGE=autoheal TAG=1.0'

.PHONY: build
build: ## the program, optimised
	cargo build --locked --release
	@echo 'built: $(TARGET_DIR)/release/autoheal'

.PHONY: test
test: ## every check: format, lints, documentation, tests on real parts, the image
	scripts/test.sh

.PHONY: demo
demo: ## watch a killed service being healed (DEMO_KEEP=1 leaves everything open for playing)
	scripts/install-parts.sh
	demo/run.sh

.PHONY: bench
bench: ## how fast: matching, the store, deliveries, POST to restart (bench/README.md)
	scripts/install-parts.sh
	cargo bench --locked
	bench/webhook.sh
	bench/awx-burst.sh
	cargo build --locked --release --bin autoheal --example restart_latency
	scripts/with-engine.sh $(abspath $(TARGET_DIR)/release/examples/restart_latency $(TARGET_DIR)/release/autoheal)

.PHONY: image
image: ## the container image, without any registry
	scripts/dist.sh release
	DOCKER_BUILDKIT=0 docker build --target prebuilt --tag '$(IMAGE_NAME):$(TAG)' --tag '$(IMAGE_NAME):latest' .

.PHONY: push
push: ## send the image to the registry
	docker push '$(IMAGE_NAME):$(TAG)'
	docker push '$(IMAGE_NAME):latest'

.PHONY: up
up: ## run the image with ./autoheal.yml and ./secrets on this machine's Docker
	IMAGE='$(IMAGE_NAME):$(TAG)' scripts/up.sh

.PHONY: down
down: ## stop it; what it remembers stays in the volume autoheal-data
	docker rm --force autoheal

.PHONY: fmt
fmt: ## format the source
	cargo fmt

.PHONY: clean
clean: ## remove what was built
	cargo clean
	rm -rf dist
