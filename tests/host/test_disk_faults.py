import errno
import os
import resource

import pytest

from condord.host import disk_faults
from condord.live.remedies import FILE_SIZE_REMEDY, NOT_A_DIRECTORY_REMEDY, WRITABLE


def failure(number):
    return OSError(number, os.strerror(number))


@pytest.fixture
def limit(monkeypatch):
    """The limit of the size of files, as the system would report it."""

    def set_limit(size):
        monkeypatch.setattr(resource, "getrlimit", lambda _: (size, resource.RLIM_INFINITY))

    return set_limit


def test_a_file_where_the_directory_should_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    reason = f"{tmp_path}/file is not a directory"
    for directory in (tmp_path / "file", tmp_path / "file" / "state"):
        with pytest.raises(OSError, match=r"File exists|Not a directory") as caught:
            directory.mkdir(parents=True, exist_ok=True)
        assert disk_faults.reason_of(caught.value, directory) == reason
    assert disk_faults.remedy_for(reason) == NOT_A_DIRECTORY_REMEDY


def test_a_limit_of_the_size_of_files_is_named(tmp_path, limit):
    limit(4096)
    reason = disk_faults.reason_of(failure(errno.EFBIG), tmp_path)
    assert reason == "this process may not write files of more than 4,096 bytes"
    assert disk_faults.remedy_for(reason) == FILE_SIZE_REMEDY


def test_without_such_a_cause_the_reason_is_that_of_the_system(tmp_path, limit):
    limit(resource.RLIM_INFINITY)
    for number in (errno.EFBIG, errno.EEXIST, errno.ENOSPC):
        reason = disk_faults.reason_of(failure(number), tmp_path)
        assert reason == os.strerror(number)
        assert disk_faults.remedy_for(reason) == WRITABLE
    assert disk_faults.reason_of(OSError("text"), tmp_path) == "text"
