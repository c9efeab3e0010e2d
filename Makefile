# SPDX-License-Identifier: Apache-2.0
#
# Billet's one Makefile. `make help` lists what it does.
#
# Everything is built and tested inside Debian 13. Elsewhere each goal is handed to a Debian 13 root
# that tools/build/root makes and keeps; the rules proper are in tools/build/rules.mk.

GOALS := $(or $(MAKECMDGOALS),all)
JOBS  ?= $(shell nproc)

.DEFAULT_GOAL := all

ifneq ($(filter help,$(GOALS)),)

.PHONY: help
help:
	@sed -n 's/^#:: \{0,1\}//p' Makefile

else ifneq ($(shell . /etc/os-release 2>/dev/null; echo $$ID$$VERSION_ID),debian13)

.PHONY: $(GOALS) delegate
$(GOALS): delegate ; @:

delegate:
	@+env -u MAKEFLAGS -u MFLAGS tools/build/root run make --no-print-directory -j$(JOBS) $(MAKEOVERRIDES) $(GOALS)

else

# On Debian 13 itself: the packages, and an apt with source packages. Inside the root both are there.
ifeq ($(wildcard /etc/billet-packages)$(filter clean,$(GOALS)),)
ifneq ($(shell tools/build/root setup >&2 && echo done),done)
$(error setting up this Debian 13 failed; the lines above say why)
endif
export APT_CONFIG := $(or $(BILLET_CACHE),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME)/billet,$(HOME)/.cache/billet))/apt/apt.conf
endif

include tools/build/rules.mk

endif

#:: Billet: a type-1 hypervisor with the cloud agent built in
#::
#::   make              build everything into build/
#::   make run          a controller, a node in the best machine at hand, a Linux guest; until Ctrl-C
#::   make run ONCE=1   the same, each step checked, and stop
#::   make test         every test; ends with the line "N passed, N failed, N skipped"
#::   make unit         unit tests only (host, with sanitizers)
#::   make fuzz         replay the fuzzers' corpora; FUZZ_SECONDS=60 looks for new inputs as well
#::   make guest        tiny test guests on the hypervisor, in the emulators
#::   make system       whole machines in the emulators
#::   make bench        instruction counts in Bochs, into build/bench.tsv
#::   make iso          build/billet.iso, for CD or USB stick, BIOS or UEFI
#::   make netboot      build/netboot/, to be served by TFTP or HTTP
#::   make disk         build/billet.img, a boot disk with two slots (docs/updates.md)
#::   make layers       print who includes whom; fails on an upward arrow
#::   make format       apply .clang-format
#::   make clean        delete build/
#::
#::   V=1 shows the commands; WERROR=1 makes warnings errors, as CI does.
#::   BILLET_CACHE (default ~/.cache/billet) keeps what is dear to make: the Debian 13 root,
#::   source packages, built libraries.
