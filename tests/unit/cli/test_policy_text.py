"""`policy check`, `policy test` of policies, `policy export`: offline, with places in files."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml

from orchestrator.cli.rendering import columns
from tests.unit.cli.conftest import Run

POLICY = """\
# what our house wants
apiVersion: comity.dev/v1
kind: Policy
metadata: {name: own}
spec:
  engine: cedar
  text: |
    // a comment
    @id("no-france")
    forbid(principal, action, resource)
      when { resource has country && resource.country == "FR" };
  tests:
  - {id: there, at: 2026-11-22, job: {}, backend: {country: FR}, decision: DENY, rules: [cedar.own.no-france]}
  - {id: here, at: 2026-11-22, job: {}, backend: {country: DE}, decision: ALLOW, rules: []}
"""


def write(text: str, name: str = "policy.yaml") -> str:
    pathlib.Path(name).write_text(text, encoding="utf-8")
    return name


def test_a_good_policy_is_counted(run: Run) -> None:
    """Check says how much it looked at and exits 0; test runs the policy's own cases."""
    name = write(POLICY)
    assert (run("policy", "check", name).code, run("policy", "check", name).out) == (
        0,
        "1 policies, 0 packs, 0 problems\n",
    )
    ran = run("policy", "test", name)
    assert (ran.code, ran.out) == (0, "2 cases, 0 disagree\n")


def test_an_error_in_the_text_has_its_line_and_column_in_the_file(run: Run) -> None:
    """A block of text is part of the file: the place is that of the word, not of the block."""
    name = write(POLICY.replace("resource.country", "resource.cuntry"))
    ran = run("policy", "check", name)
    assert ran.code == 1
    assert "policy.yaml:11:47: spec.text: attribute `cuntry`" in ran.err
    assert "did you mean country?" in ran.err


def test_an_error_in_a_quoted_text_has_the_place_of_the_text(run: Run) -> None:
    """Where lines of the text are not lines of the file, both places are said."""
    name = write(
        "apiVersion: comity.dev/v1\nkind: Policy\nmetadata: {name: own}\n"
        'spec: {engine: cedar, text: "\\n\\nforbid(principal, action, resource);"}\n'
    )
    assert "policy.yaml:4: spec.text, line 3, column 1: every rule needs an @id" in run("policy", "check", name).err


def test_errors_of_the_schema_and_of_tests_are_told_too(run: Run) -> None:
    """A field that no document has, and a case that nobody can read, are problems with their line."""
    ran = run("policy", "check", write(POLICY.replace("engine:", "engin:")))
    assert ran.code == 1
    assert "policy.yaml:6: spec.engin" in ran.err
    ran = run("policy", "check", write(POLICY.replace("backend: {country: DE}", "backend: {cuntry: DE}")))
    assert ran.code == 1
    assert "policy.yaml:14: spec.tests[1].backend.cuntry" in ran.err


def test_a_policy_that_fails_its_own_tests_is_told(run: Run) -> None:
    """The disagreement is printed with what was expected and got, and the last line counts it."""
    ran = run("policy", "test", write(POLICY.replace('== "FR"', '== "DE"')))
    assert ran.code == 1
    assert "expected DENY cedar.own.no-france" in ran.out
    assert ran.out.endswith("2 cases, 2 disagree\n")


def test_a_pack_is_checked_beside_those_that_ship(run: Run) -> None:
    """A folder with rules.yaml is a pack: a bad rule has file and line; a good one is counted."""
    folder = pathlib.Path("house")
    folder.mkdir()
    rule = "{id: house.r, effect: deny, basis: house, when: [{is: [site.country, FR]}], message: no, source: us}"
    text = f"pack: house\nversion: '1'\ntitle: ours\nrules:\n- {rule}\n"
    (folder / "rules.yaml").write_text(text, encoding="utf-8")
    assert run("policy", "check", "house").out == "0 policies, 1 packs, 0 problems\n"
    (folder / "rules.yaml").write_text(text.replace("site.country", "site.cuntry"), encoding="utf-8")
    ran = run("policy", "check", "house/rules.yaml")
    assert ran.code == 1
    assert "rules.yaml:5" in ran.err
    assert "site.cuntry" in ran.err


def test_what_is_no_policy_is_a_usage_error(run: Run) -> None:
    """A file of other documents has nothing to check; one that is not there neither."""
    operator = "apiVersion: comity.dev/v1\nkind: Operator\nmetadata: {name: o}\nspec: {}\n"
    assert run("policy", "check", write(operator)).code == 2
    assert run("policy", "check", "gone.yaml").code == 2


def test_the_packs_are_exported_with_schema_and_sets(run: Run) -> None:
    """Four files that Cedar reads; sets are those of the day asked for."""
    ran = run("policy", "export", "--to", "cedar", "-o", "out", "--at", "2026-01-25")
    assert ran.code == 0
    assert {path.name for path in pathlib.Path("out").iterdir()} == {
        "packs.cedar",
        "packs.cedarschema",
        "packs.entities.json",
        "policies.cedarschema",
    }
    (before,) = json.loads(pathlib.Path("out/packs.entities.json").read_text())
    run("policy", "export", "--to", "cedar", "-o", "out", "--at", "2026-01-26")
    (after,) = json.loads(pathlib.Path("out/packs.entities.json").read_text())
    assert set(after["attrs"]["eu-adequate"]) - set(before["attrs"]["eu-adequate"]) == {"BR"}
    assert '@id("eu-gdpr.transfer")' in run("policy", "export", "--to", "cedar").out
    assert run("policy", "export", "--to", "cedar", "--at", "soon").code == 2


def test_a_change_of_policies_is_shown_before_it_is_merged(run: Run) -> None:
    """`policy diff --policy` answers cases with and without the new rules."""
    case = "{id: c, at: 2026-11-22, job: {}, decision: ALLOW, rules: [], backend: {country: FR, operator: {%s}}}"
    write("cases:\n- " + case % "legal_country: FR, parent_hq: FR" + "\n", "cases.yaml")
    ran = run("policy", "diff", "--policy", write(POLICY), "--cases", "cases.yaml", "-o", "json")
    assert ran.code == 1
    assert "cedar.own.no-france" in ran.out
    assert run("policy", "diff", "--cases", "cases.yaml").code == 0
    assert run("policy", "diff", "--policy", write(POLICY.replace("country ==", "cuntry ==")), "--cases", "c").code == 2


@pytest.mark.parametrize(
    ("usable", "in_force", "word"),
    [(True, True, "in force"), (True, False, "not in force"), (False, True, "unusable: refuses")],
)
def test_a_list_of_policies_says_what_each_does_today(usable: bool, in_force: bool, word: str) -> None:
    """Dates, and whether it holds; one that cannot be used refuses, and the list says so."""
    conditions = [{"type": "Usable", "status": usable}, {"type": "InForce", "status": in_force}]
    spec = {"engine": "directive", "directive": {"from": "2026-06-12"}}
    item = {"metadata": {"name": "p"}, "spec": spec, "status": {"conditions": conditions}}
    _, row = columns.rows("policies", [item], wide=False)
    assert row == ["p", "directive", "2026-06-12", "-", word]


def test_a_fence_for_a_cluster_is_exported(run: Run) -> None:
    """Five policies and a definition; a set of countries stands for its members; the file is what is printed."""
    words = ("policy", "export", "--to", "kubernetes", "--namespace", "jobs", "--country", "EEA")
    ran = run(*words, "--at", "2026-01-25")
    assert ran.code == 0
    found = list(yaml.safe_load_all(ran.out))
    assert len(found) == 11
    selector = next(each for each in found if each["metadata"]["name"] == "comity-jobs")["spec"]["validations"][3]
    assert "'FR'" in selector["expression"]
    assert "'CH'" not in selector["expression"]
    run(*words, "--at", "2026-01-25", "-o", "out")
    assert pathlib.Path("out/second-fence.yaml").read_text() == ran.out


def test_a_fence_of_nothing_is_a_usage_error(run: Run) -> None:
    """Without namespaces or countries, with unknown ones, or with options of another language nothing is written."""
    kubernetes = ("policy", "export", "--to", "kubernetes")
    for words, said in (
        (kubernetes, "namespace: at least one"),
        ((*kubernetes, "--namespace", "jobs", "--country", "Atlantis"), "Atlantis"),
        ((*kubernetes, "--namespace", "jobs", "--country", "FR", "--service-account", "me"), "NAMESPACE/NAME"),
        ((*kubernetes, "--namespace", "jobs", "--country", "FR", "--schema"), "--schema belongs to cedar"),
        (("policy", "export", "--to", "cedar", "--country", "FR"), "belong to kubernetes"),
    ):
        ran = run(*words)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err
