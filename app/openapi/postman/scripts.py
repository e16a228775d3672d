"""JavaScript of the Postman collection: what Postman and newman run before and after requests."""

from collections.abc import Iterable

BEFORE_EACH = """
pm.variables.set('tomorrow', new Date(Date.now() + 24 * 60 * 60 * 1000).toISOString());

// Send a small picture where no file is chosen: a file without `src` is decoded from base64.
const { body } = pm.request;
const picture = pm.variables.get('picture');
if (body?.mode === 'file' && !body.file?.src) body.file = { content: picture };
const fields = body?.mode === 'formdata' ? body.formdata.all() : [];
const files = fields.filter(({ type, disabled }) => type === 'file' && !disabled);
for (const field of files.filter(({ src }) => !src?.length)) {
  Object.assign(field, { src: null, value: picture, fileName: 'picture' });
}
""".strip()
"""Before each request. A collection cannot contain files, and yet its requests can be sent as they are imported.

Base64 needs postman-runtime 7.33 (2023), which newman has since version 6.
"""

KEEP_TASK = """
if (pm.response.code === 202) pm.collectionVariables.set('task_id', pm.response.json().task_id);
""".strip()
"""After an upload: the other requests then use the id of the new task. Likewise those that follow."""

KEEP_UPLOAD = """
const location = pm.response.headers.get('Location');
if (pm.response.code === 201) pm.collectionVariables.set('upload_id', location.split('/').pop());
""".strip()

KEEP_BATCH = """
if (pm.response.code === 202) pm.collectionVariables.set('batch_id', pm.response.json().batch_id);
""".strip()

KEEP_LINK = r"""
const [, expires, signature] = pm.response.text().match(/expires=(\d+)&signature=([\w-]+)/) ?? [];
pm.test('There is a signed link', () => pm.expect(signature).to.be.a('string'));
pm.collectionVariables.set('expires', expires ?? '');
pm.collectionVariables.set('signature', signature ?? '');
""".strip()

KEEP_CSRF_TOKEN = """
pm.collectionVariables.set('csrf_token', pm.cookies.get('darkroom_csrf') ?? '');
""".strip()

SUCCEEDED = """
pm.test('The task has succeeded', () => pm.expect(pm.response.json().status).to.equal('SUCCESS'));
const { result } = pm.response.json();
const path = typeof result === 'object' ? Object.values(result)[0] : result;
if (path) pm.collectionVariables.set('name', path.split('/').pop());
""".strip()

COMPLETED = """
pm.test('The batch is completed', () => pm.expect(pm.response.json().status).to.equal('completed'));
""".strip()

REVOKED = """
pm.test('The task is revoked', () => pm.expect(pm.response.json().status).to.equal('REVOKED'));
""".strip()


def contains(text: str) -> str:
    """Return a test that the body contains a text, which has no single quotation marks."""
    return f"pm.test('The body has {text}', () => pm.expect(pm.response.text()).to.include('{text}'));"


def has_type(media_type: str) -> str:
    """Return a test of the beginning of the content type."""
    found = "pm.response.headers.get('Content-Type')"
    return f"pm.test('The content type is {media_type}', () => pm.expect({found}).to.include('{media_type}'));"


def has_status(statuses: Iterable[int]) -> str:
    """Return a test of the status code."""
    codes = list(statuses)
    expected = " or ".join(map(str, codes))
    return f"pm.test('The status is {expected}', () => pm.expect(pm.response.code).to.be.oneOf({codes}));"
