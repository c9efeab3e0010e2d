# SPDX-License-Identifier: Apache-2.0
# The controller, and the protocol that it shares with the agent.
protocol-files := agent/protocol/form.c agent/protocol/json_out.c agent/protocol/messages.c agent/protocol/schema.c

# What of the controller is tested by itself.
controller-pure := $(addprefix tools/controller/, ca.c console_ring.c db.c db_schema.c ledger.c range.c say.c util.c)

pure-y += $(protocol-files) $(controller-pure)
billetd-y += $(protocol-files) $(controller-pure) $(addprefix tools/controller/, \
	agent_blobs.c agent_enroll.c agent_report.c api_misc.c api_nodes.c api_tokens.c api_usage.c audit.c auth.c call.c console.c \
	desired.c http.c idempotency.c image.c main.c node.c node_update.c routes.c server.c tls.c upload.c vm.c vm_create.c wait.c)
