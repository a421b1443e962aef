"""Damaged inputs for every reader: a clear error or a right result, within 1 GB and 10 s. ``python -m tests.fuzz`` runs longer."""

from pathlib import Path

import pytest

from tests.fuzz.broken import BROKEN
from tests.fuzz.campaign import Campaign
from tests.fuzz.readers import READERS

SECONDS = 30.0
pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_valid_inputs_are_right(reader, tmp_path):
    for number, (variant, write) in enumerate(reader.valid.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder)
        assert reader.read(folder) == reader.right_for(variant), variant


def test_broken_readers_are_found():
    readers = [reader for _, reader in BROKEN.values()]
    campaign = Campaign(readers, len(readers), None, limit=3.0, broken=True)
    campaign.run()
    assert [finding.reader for finding in campaign.findings] == list(BROKEN)
    for finding in campaign.findings:
        assert BROKEN[finding.reader][0] in finding.words, finding


def test_damaged_inputs_give_a_clear_error_or_a_right_result(capsys):
    campaign = Campaign(READERS, None, SECONDS)
    campaign.run()
    with capsys.disabled():
        print(f"\n{campaign.table()}")
    assert all(tally.inputs for tally in campaign.tallies.values())
    assert not campaign.findings, "\n".join(map(str, campaign.findings))
