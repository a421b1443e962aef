"""Addresses of fleets' maps: what they say, what no message says, and what a robot without the extra is told."""

import subprocess
import sys

import pytest

from tests.fleet.maps import new_fleet_map, new_url
from vpr_aesvc.errors import VprError
from vpr_aesvc.fleet import open_map
from vpr_aesvc.fleet.address import FleetAddress

SECRET = "s3cr3t/+"


def test_an_address_is_taken_apart():
    one = FleetAddress.parse(
        "postgresql://u:s3cr3t%2F%2B@db:5433/fleet?map=city&frame=utm32&sslmode=verify-full&thumbnails=yes"
    )
    assert one.conninfo == "postgresql://u:s3cr3t%2F%2B@db:5433/fleet?sslmode=verify-full"
    assert one.text == "postgresql://u@db:5433/fleet?map=city&frame=utm32&thumbnails=yes"
    assert (one.map, one.frame, one.family, one.thumbnails) == ("city", "utm32", None, True)
    with pytest.raises(VprError, match="names no map; add one"):
        FleetAddress.parse("postgresql://db/fleet")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:s3cr3t%2F%2B@127.0.0.1:1/fleet?map=city",
        "postgresql://127.0.0.1:1/fleet?map=city&user=u&password=s3cr3t%2F%2B",
        "postgresql://u:s3cr3t%2F%2B@127.0.0.1:notaport/fleet?map=city",
        "postgresql://u:s3cr3t%2F%2B@127.0.0.1:1/fleet?map=city&nonsense=1",
        "postgresql://u:s3cr3t%2F%2B@127.0.0.1:1/fleet?map=",
        "postgres://u:s3cr3t%2F%2B@[::1/fleet?map=city",
        "postgresql://u:s3cr3t/+@127.0.0.1:1/fleet?map=city",
        "postgresql://u:s3cr3t#+@127.0.0.1:1/fleet?map=city",
        "postgresql://u:s3cr3t?+@127.0.0.1:1/fleet?map=city",
    ],
)
def test_no_message_has_the_password(url):
    pytest.importorskip("psycopg")
    with pytest.raises(VprError) as caught:
        open_map(url)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error) and "s3cr3t" not in str(error)
        error = error.__cause__
    assert "postgres" in str(caught.value)


def test_a_server_without_maps_and_a_wrong_name(postgres):
    url = new_url(postgres)
    with pytest.raises(VprError, match=r"no such map|holds no maps yet"):
        open_map(url)
    with new_fleet_map(url), pytest.raises(VprError, match="exists already"):
        new_fleet_map(url)
    with pytest.raises(VprError, match="no such map"):
        open_map(new_url(postgres))


def test_other_tables_than_this_version_uses_are_refused(postgres):
    import psycopg

    url = new_url(postgres)
    new_fleet_map(url).close()
    with psycopg.connect(postgres.url, autocommit=True) as db:
        db.execute("INSERT INTO vpr.migrations (number) VALUES (999)")
        try:
            with pytest.raises(VprError, match="its tables have version 999, this vpr_aesvc uses 2"):
                open_map(url)
        finally:
            db.execute("DELETE FROM vpr.migrations WHERE number = 999")


def test_without_the_extra_an_error_names_it_and_import_loads_none_of_it():
    code = (
        "import sys\n"
        "import vpr_aesvc\n"
        "vpr_aesvc.open_map, vpr_aesvc.PlaceMap\n"
        "assert not {'psycopg', 'pgvector'} & set(sys.modules)\n"
        "sys.modules['psycopg'] = None\n"
        "try:\n"
        "    vpr_aesvc.open_map('postgresql://db/fleet?map=city')\n"
        "except vpr_aesvc.VprError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the extra `fleet`" in done.stdout and "pip install 'psycopg[binary]' pgvector" in done.stdout


@pytest.mark.parametrize(
    "index", ["milvus://root:hunter2@host:19530", "milvus://root:hunter2%40host", "http://u:hunter2@a:1"]
)
@pytest.mark.parametrize("name", ["map=city&", ""])
def test_a_password_of_the_index_is_not_printed(name, index):
    with pytest.raises(VprError, match="expected index=milvus://HOST:PORT") as error:
        FleetAddress.parse(f"postgresql://robot@db/fleet?{name}index={index}")
    assert "hunter2" not in str(error.value)
