"""The CRF against the tensors of the published one (fixtures/crf)."""

from pathlib import Path

from tests.shared import SHARED, needs_shared

from gmner.verify import verify

CASES, OUTPUTS_A_CASE = 4, 12


@needs_shared
def test_crf_fixture() -> None:
    result = verify("crf", Path(SHARED or "") / "fixtures" / "crf" / "crf_cases.safetensors")
    assert result.passed
    assert len(result.comparisons) == CASES * OUTPUTS_A_CASE
    assert result.unchecked == ()
    # The stated tolerance is 1e-4 and more; float32 leaves no excuse for a tenth of it.
    assert max(comparison.difference for comparison in result.comparisons) < 1e-5
