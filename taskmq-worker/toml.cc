/* toml.cc: see toml.h. Header-only toml++: no exception leaves this file. */

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

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

char *tw_toml_to_json(const char *text, size_t len) {
    try {
        std::ostringstream out;
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
