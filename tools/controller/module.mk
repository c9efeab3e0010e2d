# SPDX-License-Identifier: Apache-2.0
# The controller, and the protocol that it shares with the agent.
protocol-files := agent/protocol/form.c agent/protocol/json_out.c agent/protocol/messages.c agent/protocol/schema.c
pure-y += $(protocol-files)
