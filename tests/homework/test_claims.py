"""The claims of the homework come out as the mathematics says, and wrong answers are told apart from right ones."""

from __future__ import annotations

import json

import pytest

from mathdnn.errors import InvalidInput
from mathdnn.homework import CLAIMS, PROBLEMS, Resources, reproduce, results_document
from mathdnn.verdict import Status
from mathdnn.verify.claims import why_another

BY_ID = {claim.id: claim for claim in CLAIMS}
EXACT = [
    claim.id
    for claim in CLAIMS
    if claim.problem in (1, 2, 3, 6) or (claim.problem in (5, 7) and claim.expected is Status.PROVED)
]


@pytest.fixture(scope="module")
def resources():
    return Resources()


@pytest.mark.parametrize("name", [*EXACT, "4.reals", "4.softsign-float32", "4.gelu-float32"])
def test_what_mathematics_decides_comes_out_as_it_must(name, resources):
    claim = BY_ID[name]
    finding = claim.decide(resources)
    assert finding.verdict.status is claim.expected, str(finding.verdict)
    assert finding.found
    assert why_another(name, claim.statement, finding.verdict) == ""  # the checker knows the sentence


def test_the_solutions_mistakes_are_found():
    refuted = {claim.id for claim in CLAIMS if claim.expected is Status.REFUTED}
    assert refuted == {"1.solution-kernels", "4.softsign-float32", "4.gelu-float32", "7.printed-loss"}
    contradicted = {claim.id for claim in CLAIMS if claim.expected is Status.CONTRADICTED}
    assert contradicted == {"5.kl-faster", "5.hardest-pair", "5.pairwise-classifier"}


def test_the_smallest_counterexample_to_the_solutions_kernels_is_one_pixel(resources):
    evidence = BY_ID["1.solution-kernels"].decide(resources).verdict.evidence
    assert evidence.statement.startswith("For the 1 x 1 image [1]")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["4.tanh-float32", "4.relu-float32"])
def test_every_float32_is_scanned(name, resources):
    claim = BY_ID[name]
    verdict = claim.decide(resources).verdict
    assert verdict.status is claim.expected
    assert why_another(name, claim.statement, verdict) == ""
    assert "4,278,190,082 values of float32" in verdict.evidence.method


@pytest.mark.slow
def test_figures_of_the_two_losses_are_reproduced(resources):
    names = ["5.sos-test-loss", "5.sos-right", "5.kl-test-loss", "5.kl-right", "5.similar-accuracy", "5.hardest-pair"]
    for name in names:
        verdict = BY_ID[name].decide(resources).verdict
        assert verdict.status is BY_ID[name].expected, name
        assert why_another(name, BY_ID[name].statement, verdict) == ""


def test_a_results_document_is_plain_json_with_every_claim_in_it():
    document = results_document(reproduce([3]), {"problems": [3]}, "2026-01-01T00:00:00+00:00")
    again = json.loads(json.dumps(document, allow_nan=False))
    (claim,) = again["claims"]
    assert {"problem", "id", "statement", "published", "found", "status"} <= set(claim)
    assert claim["status"] == "proved"
    assert again["machine"]
    assert again["versions"]["torch"]


def test_every_problem_has_claims_with_an_id_of_its_own():
    assert {claim.problem for claim in CLAIMS} == {problem.number for problem in PROBLEMS} == set(range(1, 8))
    assert len(BY_ID) == len(CLAIMS)
    assert all(claim.id.startswith(f"{claim.problem}.") for claim in CLAIMS)


def test_an_unknown_problem_is_refused():
    sentence = r"^reproduce\(problems=...\): expected numbers from 1 to 7, got 8; name problems of the homework\.$"
    with pytest.raises(InvalidInput, match=sentence):
        list(reproduce([8]))


def test_one_run_is_refused_since_it_has_no_spread():
    with pytest.raises(
        InvalidInput, match=r"^reproduce\(seeds=...\): expected at least 2 runs, got 1; ask for 2 or more"
    ):
        reproduce([7], seeds=1)
