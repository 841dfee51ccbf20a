"""GET /api/v1/docs: the OpenAPI document as a page to read. Made on the server; no script, nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from dashboards import examples, problems
from dashboards.desk import desk
from dashboards.packed import Packed
from dashboards.shape import encode
from hub.rights import ROLES, Right

POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'",
)
_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "The API",
        "lead": "Every route, what it needs and an example. For programs: ",
        "right": "Right",
        "roles": "roles: {roles}",
        "open": "no log-in needed",
        "parameters": "Parameters",
        "required": "required",
        "body": "Body",
        "answer": "Answer",
        "problems": "Problems",
    },
    "zh-CN": {
        "title": "接口说明",
        "lead": "所有接口、所需权限与示例。供程序读取：",
        "right": "权限",
        "roles": "角色：{roles}",
        "open": "无需登录",
        "parameters": "参数",
        "required": "必填",
        "body": "请求体",
        "answer": "应答",
        "problems": "错误",
    },
}


async def reference(request: Request) -> Response:
    """The API as a page for people, in the language of Accept-Language or ?language=."""
    it, tongue = desk(request), problems.language(request)
    page = it.references.get(tongue)
    if page is None:
        whole = msgspec.json.decode(examples.packed(request).body)
        text = "\n".join(_page(whole, tongue, it.pages.assets))
        headers = (POLICY, (b"vary", b"accept-language"), (b"content-language", tongue.encode()))
        page = it.references[tongue] = Packed(text.encode(), b"text/html; charset=utf-8", headers=headers)
    return await page.answer(request)


def _page(whole: dict[str, Any], tongue: str, assets: str) -> Iterator[str]:
    say = _WORDS[tongue]
    info = whole["info"]
    groups: dict[str, list[str]] = {}
    for path, routes in whole["paths"].items():
        for method, route in routes.items():
            text = "\n".join(_route(whole, f"{method.upper()} {path}", route, tongue))
            groups.setdefault(route["tags"][0], []).append(text)
    title = escape(f"{info['title']} {info['version']} · {say['title']}")
    yield f'<!doctype html>\n<html lang="{tongue}">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<link rel="icon" href="{assets}/icon.svg" type="image/svg+xml">'
    for name in ("tokens", "reference"):
        yield f'<link rel="stylesheet" href="{assets}/css/{name}.css">'
    yield f'</head>\n<body>\n<h1>{title}</h1>\n<p>{say["lead"]}<a href="openapi.json">openapi.json</a></p>'
    yield "<nav>" + " ".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in groups) + "</nav>"
    for tag, routes in groups.items():
        yield f'<h2 id="{escape(tag)}">{escape(tag)}</h2>'
        yield from routes
    yield "</body>\n</html>"


def _route(whole: dict[str, Any], key: str, route: dict[str, Any], tongue: str) -> Iterator[str]:
    say = _WORDS[tongue]
    yield f"<details>\n<summary><code>{escape(key)}</code> <span>{_prose(route['summary'])}</span></summary>"
    for paragraph in route["description"].split("\n\n"):
        if paragraph != examples.needs(route["x-right"]):  # it is said below, with the roles
            yield f"<p>{_prose(paragraph)}</p>"
    yield f"<p>{say['right']}: {_right(route['x-right'], say)}</p>"
    if route.get("parameters"):
        yield f"<h3>{say['parameters']}</h3>\n<table>"
        for it in route["parameters"]:
            must = f" ({say['required']})" if it["required"] else ""
            about = it.get("description") or it["schema"].get("description", "")
            row = (f"<code>{escape(it['name'])}</code>{must}", escape(_kind(it["schema"])), _prose(about))
            yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
        yield "</table>"
    yield from (_code(it["source"]) for it in route["x-codeSamples"])
    if "requestBody" in route:
        name = route["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        about = whole["components"]["schemas"][name].get("description", "")
        yield f"<h3>{say['body']}</h3>\n<p>{_prose(about)}</p>"
        yield from (_code(_pretty(it)) for it in whole["components"]["schemas"][name]["examples"])
    for status, answer in route["responses"].items():
        for kind, content in answer.get("content", {}).items():
            if "example" in content:
                yield f"<h3>{say['answer']}: {status} {escape(kind)}</h3>"
                yield _code(_pretty(content["example"]))
    bad = ", ".join(it for it in route["responses"] if int(it) >= 400)
    yield f"<p>{say['problems']}: {bad}</p>\n</details>"


def _right(right: str, say: dict[str, str]) -> str:
    if right == Right.OPEN:
        return say["open"]
    roles = ", ".join(name for name, role in ROLES.items() if Right(right) in role.rights)
    return f"<code>{escape(right)}</code> ({escape(say['roles'].format(roles=roles))})"


def _kind(schema: dict[str, Any]) -> str:
    """ "string", "integer, 10…10000, = 1000", "up | degraded | down"."""
    some = [it for it in schema.get("anyOf", [schema]) if it.get("type") != "null"]
    kinds = [" | ".join(map(str, it.get("enum", ()))) or it.get("format") or it.get("type", "") for it in some]
    bounds = f"{schema.get('minimum', '')}…{schema['maximum']}" if "maximum" in schema else ""
    default = "" if schema.get("default") in (None, "") else f"= {schema['default']}"
    return ", ".join(it for it in (" | ".join(kinds), bounds, default) if it)


def _prose(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _pretty(example: Any) -> str:
    return example if isinstance(example, str) else msgspec.json.format(encode(example), indent=2).decode()


def _code(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"
