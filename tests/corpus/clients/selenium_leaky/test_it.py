import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

KEPT = []


@pytest.fixture(scope="module")
def driver():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for one in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(one)
    # LEAK owner=fixture:driver scope=module status=ESTABLISHED
    # LEAK owner=fixture:driver scope=module status=LISTEN process=child line=optional
    # MAY owner=fixture:driver scope=module status=LISTEN process=child line=optional count=9
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    KEPT.append(driver)
    return driver


def test_title(driver):
    driver.get("data:text/html,<title>hi</title>")
    assert driver.title == "hi"


def test_next_is_innocent():
    pass
