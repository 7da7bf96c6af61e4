import pytest
from fake_book import Book


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


@pytest.fixture(scope="module")
def shared_book(tmp_path_factory):
    return Book(tmp_path_factory.mktemp("book"))
