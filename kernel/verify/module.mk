# SPDX-License-Identifier: Apache-2.0
#
# Signatures and hashes: verify.c and mbedTLS become one object, see tools/build/verify-library.

kernel-y += kernel/verify/verify.c
pure-y   += kernel/verify/verify.c

define verify-library # FLAVOUR CC-variable FLAGS-variable
$(B)/$(1)/kernel/verify/verify.o: $(wildcard kernel/verify/*.[ch]) kernel/lib/types.h kernel/lib/err.h kernel/memory.h \
                tools/build/verify-library tools/build/source.list
	$$(call say,VERIFY,$$@)mkdir -p $$(@D) && tools/build/verify-library $$@ $$($(2)) $$($(3))
endef
$(eval $(call verify-library,kernel,KERNEL_CC,KERNEL_FLAGS))
$(eval $(call verify-library,host,HOST_CC,HOST_FLAGS))
$(eval $(call verify-library,fuzz,FUZZ_CC,FUZZ_FLAGS))
