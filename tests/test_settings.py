"""Groups of settings build what they are named after, with its own defaults."""

import inspect
from datetime import timedelta

import pytest
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import text

from roadworthy.database import Database
from roadworthy.health import Health
from roadworthy.jobs import Embedded
from roadworthy.settings import DatabaseSettings, FilesSettings, HealthSettings, JobsSettings
from roadworthy.uploads import Disk, Files
from roadworthy.uploads.stores.objects import Objects


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_", env_nested_delimiter="__")
    database: DatabaseSettings


def test_fields_are_the_keywords_of_the_database_and_have_their_defaults():
    keywords = inspect.signature(Database).parameters
    fields = DatabaseSettings.model_fields

    assert set(fields) == set(keywords) - {"session_class", "connect_args"}
    for name in set(fields) - {"url"}:
        assert fields[name].default == keywords[name].default


def test_fields_are_the_keywords_of_the_engine_of_jobs_and_have_their_defaults():
    keywords = inspect.signature(Embedded).parameters
    fields = JobsSettings.model_fields

    assert set(fields) == set(keywords) - {"process_setup"}
    for name in fields:
        assert fields[name].default == keywords[name].default
    assert isinstance(JobsSettings(lease=timedelta(seconds=2)).build(), Embedded)


async def test_the_environment_of_an_application_builds_a_database(monkeypatch, sqlite_url):
    monkeypatch.setenv("SHOP_DATABASE__URL", sqlite_url)
    monkeypatch.setenv("SHOP_DATABASE__MAX_WAIT", "1.5")
    settings = Settings()

    assert settings.database.max_wait == timedelta(seconds=1.5)
    async with settings.database.build() as db, db.begin() as tx:
        assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1


@pytest.mark.parametrize("wrong", [{"pool_size": 0}, {"max_wait": 0}, {"pool": 3}])
def test_a_wrong_value_is_refused_without_showing_the_url(wrong):
    with pytest.raises(ValidationError) as refused:
        DatabaseSettings.model_validate({"url": "postgresql://u:hunter2@h/d", **wrong})
    assert "hunter2" not in str(refused.value)


def test_fields_are_the_keywords_of_files_and_their_store_and_have_their_defaults():
    keywords = dict(inspect.signature(Files).parameters)
    keywords |= inspect.signature(Disk).parameters | inspect.signature(Objects).parameters
    fields = FilesSettings.model_fields

    assert set(fields) == set(keywords) - {"store", "directory", "config", "credential_provider"}
    for name in set(fields) - {"url"}:
        assert fields[name].default == keywords[name].default


async def test_a_directory_and_a_bucket_are_told_by_their_urls(tmp_path):
    async with FilesSettings(url=f"file://{tmp_path}/a%20b").build() as files:
        await files.add(b"text", media_type="text/plain", filename="a.txt", key="a")

    assert (tmp_path / "a b" / "a").read_bytes() == b"text"
    assert isinstance(FilesSettings(url="s3://bucket/a").build().store, Objects)


@pytest.mark.parametrize("url", ["", "files", "file://", "file://host/a", "s3:///a", "s3://b?c=d"])
def test_a_url_that_names_no_store_is_refused(url):
    with pytest.raises(ValidationError, match="file:///path"):
        FilesSettings(url=url)


def test_fields_are_the_keywords_of_health_and_have_their_defaults():
    keywords = inspect.signature(Health).parameters
    fields = HealthSettings.model_fields

    assert set(fields) == set(keywords) - {"version"}
    assert {name: fields[name].default for name in fields} == {
        name: keywords[name].default for name in fields
    }
    health = HealthSettings(token="let me see").build(version="1")
    assert health.is_operator("Bearer let me see")
    assert "let me see" not in repr(HealthSettings(token="let me see"))
