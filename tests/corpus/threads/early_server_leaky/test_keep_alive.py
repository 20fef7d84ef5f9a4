def get(client):
    client.request("GET", "/")
    response = client.getresponse()
    response.read()
    return response.status


def test_one(client):
    assert get(client) == 204


def test_two(client):
    assert get(client) == 204
