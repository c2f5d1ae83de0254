"""Every command by name: where it lives and the one line that ``--help`` says about it. Imports nothing of them."""

from __future__ import annotations

from orchestrator.cli.lazy import Entry

START, DECLARE, JOBS, PLACES, PROOF = "Start", "Declare", "Jobs", "Places and policy", "Proof and access"
ABSENT = "Not built yet (refused by name)"

ROOT: dict[str, Entry] = {
    "init": Entry("init", "init", "Write and apply the documents of this machine, so that a job runs.", START),
    "demo": Entry("demo", "demo", "The whole story on this machine, with real processes.", START),
    "serve": Entry("serve", "serve", "Run a control plane.", START),
    "apply": Entry("declare", "apply", "Declare what documents say.", DECLARE),
    "delete": Entry("declare", "delete", "Withdraw a document.", DECLARE),
    "get": Entry("read", "get", "List documents, jobs and sites, or show one.", DECLARE),
    "describe": Entry("read", "describe", "Tell all about one document or job.", DECLARE),
    "run": Entry("run", "run", "Run a command without YAML: submit, follow, show its output.", JOBS),
    "plan": Entry("plan", "plan", "Say where a job would go, and why nowhere else.", JOBS),
    "submit": Entry("submit", "submit", "Submit jobs and print their ids.", JOBS),
    "wait": Entry("jobs", "wait", "Wait until a job has ended.", JOBS),
    "logs": Entry("jobs", "logs", "Show a job's output.", JOBS),
    "explain": Entry("plan", "explain", "Tell why a job is where it is: every site, every reason, every fact.", JOBS),
    "cancel": Entry("jobs", "cancel", "Ask a job to end.", JOBS),
    "retry": Entry("jobs", "retry", "Submit an ended job again, as a new job.", JOBS),
    "cp": Entry("jobs", "cp", "Copy a file that a job left.", JOBS),
    "backend": Entry("backend", "backend", "Adapters, live probes, taking backends out of service.", PLACES),
    "policy": Entry("policy", "policy", "Test rules, list the packs in force.", PLACES),
    "evidence": Entry("evidence", "evidence", "Write the signed bundle of a job.", PROOF),
    "verify": Entry("verify", "verify", "Check such a bundle offline.", PROOF),
    "log": Entry("log", "log", "Check the journal, see its signed head, change its key.", PROOF),
    "witness": Entry("witness", "witness", "Cosign the journal's head with a key of your own.", PROOF),
    "token": Entry("token", "token", "Create, list and revoke tokens.", PROOF),
    "freeze": Entry("freeze", "freeze", "Stop new placements now.", PLACES),
    "unfreeze": Entry("freeze", "unfreeze", "Allow new placements again.", PLACES),
    "audit": Entry("absent", "audit", "Inventory of AI workloads.", ABSENT),
}

BACKEND: dict[str, Entry] = {
    "types": Entry("backend", "types", "The adapters installed here, and their settings."),
    "check": Entry("backend", "check", "Probe a backend now."),
    "cordon": Entry("backend", "cordon", "Take a backend out of new placements."),
    "uncordon": Entry("backend", "uncordon", "Take it back in."),
    "challenge": Entry("backend", "challenge", "Make a challenge for its attestation."),
    "confirm": Entry("backend", "confirm", "Pin its identity: it is what was looked at."),
    "import": Entry("backend_import", "import_", "Drafts of documents, from an inventory of clusters."),
    "new": Entry("backend_new", "new", "Write a ready adapter package with passing conformance tests."),
    "drain": Entry("absent", "drain", "Move its jobs elsewhere.", ABSENT),
}

POLICY: dict[str, Entry] = {
    "test": Entry("policy", "test", "Run cases against the packs."),
    "packs": Entry("policy", "packs", "The packs in force."),
    "lists": Entry("policy_lists", "lists", "Sanctions and entity lists: show, import, answer."),
    "trust": Entry("policy_trust", "trust", "Whom this installation trusts to certify facts."),
    "declassify": Entry("declassify", "declassify", "Take off what a data set inherits, by name and with a reason."),
    "fulfil": Entry("fulfil", "fulfil", "Note that an obligation of a job was done, with the evidence."),
    "changes": Entry("policy_held", "changes", "Changes that are held because they would stop many running jobs."),
    "confirm": Entry("policy_held", "confirm", "Let a held change go on, by name and with a reason."),
    "check": Entry("policy_text", "check", "Check policies and packs before they hold."),
    "replay": Entry("policy_change", "replay", "Judge recorded placements by other rules."),
    "diff": Entry("policy_change", "diff", "What two sets of rules answer differently."),
    "export": Entry("policy_export", "export", "The packs in another engine's words; a cluster's own fence."),
}

LISTS: dict[str, Entry] = {
    "show": Entry("policy_lists", "show", "The lists in force, and for how long."),
    "import": Entry("policy_lists", "import_", "Take a published file into force."),
    "answer": Entry("policy_lists", "answer", "Say whether a name match is the party."),
}

LOG: dict[str, Entry] = {
    "verify": Entry("log", "verify", "Check the journal's chain, and the tables by it; needs no server."),
    "accept": Entry("log", "accept", "Accept tables that are not what the journal says."),
    "checkpoint": Entry("log", "checkpoint", "Show the newest signed head."),
    "rotate-key": Entry("log", "rotate_key", "Let a new key sign the journal."),
}

TOKEN: dict[str, Entry] = {
    "create": Entry("token", "create", "Make a token; it is shown once."),
    "list": Entry("token", "list_", "List tokens, without their secrets."),
    "revoke": Entry("token", "revoke", "Revoke a token at once."),
}
