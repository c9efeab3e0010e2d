/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: what each VM has used, added up from records that nodes send, each counted once.
 *
 * A record's counters are cumulative per series (node, boot, VM, epoch). Its key is (node, boot,
 * seq). The ledger keeps, for each series, the highest values that it has counted, and adds to the
 * VM's totals what a record has beyond them. The caller holds a transaction, so that a record, its
 * series and the totals change together or not at all.
 */
#ifndef CONTROLLER_LEDGER_H
#define CONTROLLER_LEDGER_H

#include "agent/protocol/messages.h"
#include "tools/controller/db.h"

enum ledger_result {
	LEDGER_ADDED,
	LEDGER_REPEATED,  /* was there already, the same: nothing changed */
	LEDGER_DECREASED, /* added, but a counter was lower than before; that counter added nothing
			   */
	LEDGER_CONFLICT,  /* that key is there with other content: nothing changed */
	LEDGER_NOT_YOURS, /* the VM is not, and never was, that node's: nothing changed */
};

/* ledger_add - count one record; with db->failed set the result means nothing */
enum ledger_result ledger_add(struct db *db, const char *node, const struct usage_record *record,
			      int64_t received_ms);

/* ledger_ack_seq - the highest seq stored for a node's boot, 0 if none */
uint64_t ledger_ack_seq(struct db *db, const char *node, const char *boot);

#endif
