/* toml.cc: see toml.h. Header-only toml++: no exception leaves this file. */

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "toml.h"

static void quote(std::ostream &out, std::string_view s) {
    static const char hex[] = "0123456789abcdef";

    out << '"';
    for (unsigned char c : s) {
        if (c < 0x20 || c == '"' || c == '\\')
            out << "\\u00" << hex[c >> 4] << hex[c & 15];
        else
            out << c;
    }
    out << '"';
}

static void emit(std::ostream &out, const toml::node &n) {
    const char *sep = "";

    out << '[' << n.source().begin.line << ",\"";
    if (auto t = n.as_table()) {
        out << "table\",{";
        for (auto &&[key, value] : *t) {
            out << sep;
            quote(out, key.str());
            out << ':';
            emit(out, value);
            sep = ",";
        }
        out << '}';
    } else if (auto a = n.as_array()) {
        out << "array\",[";
        for (auto &item : *a) {
            out << sep;
            emit(out, item);
            sep = ",";
        }
        out << ']';
    } else if (auto s = n.as_string()) {
        out << "string\",";
        quote(out, s->get());
    } else if (auto i = n.as_integer()) {
        out << "integer\"," << i->get();
    } else if (auto b = n.as_boolean()) {
        out << "boolean\"," << (b->get() ? "true" : "false");
    } else {
        std::ostringstream text;
        text << toml::node_view<const toml::node>(n);
        out << (n.is_floating_point() ? "float" : "date") << "\",";
        quote(out, text.str());
    }
    out << ']';
}

// The end of the string or quoted key that begins at p: behind its last quote.
static const char *skip_quoted(const char *p, const char *end) {
    const char q = *p;
    const int n = end - p >= 6 && p[1] == q && p[2] == q ? 3 : 1;

    for (p += n; p < end; p++) {
        if (*p == '\\' && q == '"')
            p++;
        else if (*p == q && (n == 1 || (end - p >= 3 && p[1] == q
                                        && p[2] == q)))
            return p + n;
        else if (*p == '\n' && n == 1)
            break;
    }
    return end;
}

// toml++ bounds the depth of values, not that of dotted keys, and is recursive:
// the line of one with more than PARTS_MAX parts, or 0.
static const int PARTS_MAX = 16;

static int deep_key(const char *p, size_t len) {
    const char *end = p + len;
    int line = 1, dots = 0;

    while (p < end) {
        if (*p == '"' || *p == '\'') {
            const char *from = p;
            p = skip_quoted(p, end);
            line += (int) std::count(from, p, '\n');
            continue;
        }
        if (*p == '#')
            p = std::find(p, end, '\n');
        if (p < end && *p == '.' && ++dots >= PARTS_MAX)
            return line;
        if (p < end && strchr("=,{}[]\n", *p) != nullptr)
            dots = 0;
        if (p < end && *p++ == '\n')
            line++;
    }
    return 0;
}

char *tw_toml_to_json(const char *text, size_t len) {
    try {
        std::ostringstream out;
        if (int line = deep_key(text, len)) {
            out << '[' << line << ",\"error\",\"a key of more than "
                << PARTS_MAX << " parts\"]";
            return strdup(out.str().c_str());
        }
        try {
            emit(out, toml::parse(std::string_view(text, len)));
        } catch (const toml::parse_error &e) {
            out << '[' << e.source().begin.line << ",\"error\",";
            quote(out, e.description());
            out << ']';
        }
        return strdup(out.str().c_str());
    } catch (...) {
        return nullptr;
    }
}
