"""Which version of a library a service runs: by its lock file, else by what it asks for."""

import pytest

from roadworthy.audit.source.pins import LATEST, pin_of, service_root


@pytest.mark.parametrize(
    ("name", "content", "version"),
    [
        ("requirements.txt", "fastapi==0.115.0\n", (0, 115, 0)),
        (
            "requirements.txt",
            "uvicorn\nfastapi[all]==0.115.0 ; python_version > '3'\n",
            (0, 115, 0),
        ),
        ("requirements.txt", "fastapi>=0.100\n", LATEST),
        ("requirements.txt", "fastapi\n", LATEST),
        ("requirements.txt", "fastapi>=0.100,<0.112\n", (0, 111, 999)),
        ("requirements.txt", "fastapi~=0.110.1\n", (0, 110, 999)),
        ("requirements.txt", "fastapi==0.110.*\n", (0, 110, 999)),
        ("requirements-dev.txt", "fastapi<=0.99.1  # for now\n", (0, 99, 1)),
        ("pyproject.toml", '[project]\ndependencies = ["fastapi>=0.115.12"]\n', LATEST),
        ("pyproject.toml", '[project]\ndependencies = [\n  "fastapi<1",\n]\n', (0, 999)),
        ("pyproject.toml", '[tool.poetry.dependencies]\nfastapi = "^0.98.0"\n', (0, 98, 999)),
        (
            "pyproject.toml",
            '[tool.poetry.dependencies]\nfastapi = {extras = ["all"], version = "0.109.2"}\n',
            (0, 109, 2),
        ),
        ("poetry.lock", '[[package]]\nname = "fastapi"\nversion = "0.98.0"\n', (0, 98, 0)),
        ("uv.lock", '[[package]]\nname = "fastapi"\nversion = "0.135.3"\n', (0, 135, 3)),
        ("setup.py", 'setup(install_requires=["fastapi>=0.60,<0.70"])\n', (0, 69, 999)),
        ("setup.cfg", "install_requires =\n    fastapi==0.70.0\n", (0, 70, 0)),
        ("Pipfile", '[packages]\nfastapi = "==0.70.0"\n', (0, 70, 0)),
        ("Pipfile.lock", '{"default": {"fastapi": {"version": "==0.70.1"}}}', (0, 70, 1)),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_newest_version_that_may_run_is_read(tmp_path, name, content, version, encoding):
    (tmp_path / name).write_text(content, encoding=encoding)

    pin = pin_of(tmp_path, ".", "fastapi")

    assert pin is not None
    assert (pin.version[: len(version)], name in pin.source) == (version, True)


def test_another_library_of_a_similar_name_says_nothing(tmp_path):
    (tmp_path / "requirements.txt").write_text("fastapi-users==1.0\nfastapi_cache2==2\n")

    assert pin_of(tmp_path, ".", "fastapi") is None


def test_a_service_without_a_pin_runs_what_the_folders_above_say(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["fastapi==0.100"]\n')
    (tmp_path / "backend" / "app").mkdir(parents=True)
    (tmp_path / "backend" / "setup.py").write_text("setup()\n")

    folder = service_root(tmp_path, "backend/app/main.py")

    assert folder == "backend"
    assert pin_of(tmp_path, folder, "fastapi").version == (0, 100)


def test_a_lock_file_says_more_than_a_range(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["fastapi>=0.100"]\n')
    (tmp_path / "uv.lock").write_text('[[package]]\nname = "fastapi"\nversion = "0.116.1"\n')

    assert pin_of(tmp_path, ".", "fastapi").version == (0, 116, 1)
