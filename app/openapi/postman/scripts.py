"""JavaScript of the Postman collection: what Postman and newman run before and after requests."""

from collections.abc import Iterable

BEFORE_EACH = r"""
// A bitmap (BMP, 24 bits) as text. Postman sends text as UTF-8, so no byte is above 127.
const word = (number) => String.fromCharCode(number, 0, 0, 0);
const bitmap = (width, height) => {
  const words = [54, 40, width, height].map(word).join('');
  let text = `BM${word(0)}${word(0)}${words}\x01\0\x18\0${word(0).repeat(6)}`;
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) text += String.fromCharCode(x, y, 90);
  return text;
};
pm.variables.set('picture', bitmap(120, 90));
pm.variables.set('tomorrow', new Date(Date.now() + 24 * 60 * 60 * 1000).toISOString());

// Send the bitmap in a form in which no file has been chosen.
const isForm = pm.request.body?.mode === 'formdata';
const fields = isForm ? pm.request.body.formdata.all().filter((field) => !field.disabled) : [];
const isEmpty = ({ type, src }) => type === 'file' && (src === null || src?.length === 0);
if (fields.some(isEmpty)) {
  const boundary = `darkroom-${pm.variables.replaceIn('{{$guid}}')}`;
  const parts = fields.map((field) => {
    const [parameters, value] = isEmpty(field) ? ['; filename="bitmap.bmp"', '{{picture}}'] : ['', field.value];
    return `--${boundary}\r\nContent-Disposition: form-data; name="${field.key}"${parameters}\r\n\r\n${value}\r\n`;
  });
  pm.request.headers.upsert({ key: 'Content-Type', value: `multipart/form-data; boundary=${boundary}` });
  pm.request.body.update({ mode: 'raw', raw: `${parts.join('')}--${boundary}--\r\n` });
}
""".strip()
"""Before each request. A collection cannot contain files, and yet its forms can be sent as they are imported."""

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
