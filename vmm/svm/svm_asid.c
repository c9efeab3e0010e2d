/* SPDX-License-Identifier: Apache-2.0 */
/* ASIDs by generations; see the header. */
#include "vmm/svm/svm_asid.h"

#include "kernel/lib/assert.h"

void svm_asids_init(struct svm_asids *asids, uint32_t nr)
{
	ASSERT(nr >= 2);
	*asids = (struct svm_asids){.nr = nr, .next = nr};
}

bool svm_asid_update(struct svm_asids *asids, struct svm_asid *asid, bool *flush_all)
{
	*flush_all = false;
	if (asid->generation != 0 && asid->generation == asids->generation)
		return false;
	if (asids->next == asids->nr) {
		asids->generation++;
		asids->next = 1;
		*flush_all = true;
	}
	*asid = (struct svm_asid){.generation = asids->generation, .value = asids->next++};
	return true;
}
