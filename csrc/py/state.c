/* state.c -- fills and empties the module state. */
#include "py/state.h"

#include "http/aif_h1parse.h"

core_state *
state_of_type(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &aiofast_core_module);

    return module == NULL ? NULL : state_of_module(module);
}

int
state_import(PyObject **slot, const char *module, const char *name)
{
    PyObject *m;

    if (*slot != NULL) {
        return 0;
    }
    m = PyImport_ImportModule(module);
    if (m == NULL) {
        return -1;
    }
    *slot = PyObject_GetAttrString(m, name);
    Py_DECREF(m);
    return *slot == NULL ? -1 : 0;
}

/* Every reference in the state, for traverse, clear and the like. */
/* clang-format off */
#define EACH_REFERENCE(X)                                                     \
    X(request_parser_type) X(response_parser_type) X(parsed_url_type)         \
    X(http_error) X(http_callback_error) X(http_status_error)                 \
    X(http_method_error) X(http_url_error) X(http_upgrade) X(getattr)         \
    X(wait_type) X(fetch_type) X(options_type) X(pool_type) X(host_type)      \
    X(response_type) X(upload_type) X(dial_type) X(pread_type)                \
    X(reset_error)                                                            \
    X(get_running_loop) X(cancelled_error)                                    \
    X(invalid_state_error) X(from_core) X(yarl_url) X(idna_encode)            \
    X(memory_bio) X(want_read) X(multidict_module) X(str_call_soon)           \
    X(str_call_soon_threadsafe) X(str_call_later) X(str_cancel)               \
    X(str_wrap_bio) X(str_items) X(str_read) X(str_write) X(str_write_eof)    \
    X(str_do_handshake) X(str_unwrap) X(str_session) X(str_ok) X(kw_context)  \
    X(kw_wrap) X(empty_bytes) X(empty_tuple) X(done_none) X(transport_type)   \
    X(logger) X(buffered_protocol) X(str_data_received) X(str_get_buffer)     \
    X(str_buffer_updated) X(str_eof_received) X(str_connection_lost)          \
    X(str_pause_writing) X(str_resume_writing) X(ssl_transport_type) X(spare) \
    X(extract_stack)                                                          \
    X(str_module) X(str_run_once) X(str_selector) X(str_ready)                \
    X(str_scheduled) X(str_when) X(str_stopping) X(str_debug)                 \
    X(caller_type) X(str_headers) X(str_json) X(str_data) X(str_params)       \
    X(str_timeout) X(str_ssl) X(str_allow_redirects)               \
    X(ssl_object) X(ssl_socket)
/* clang-format on */

int
state_traverse(core_state *st, visitproc visit, void *arg)
{
#define VISIT(name) Py_VISIT(st->name);
    EACH_REFERENCE(VISIT)
#undef VISIT
    return 0;
}

void
state_clear(core_state *st)
{
#define CLEAR(name) Py_CLEAR(st->name);
    EACH_REFERENCE(CLEAR)
#undef CLEAR
    for (size_t i = 0; i < STATE_FIELD_NAMES; i++) {
        Py_CLEAR(st->field_names[i]);
    }
    for (size_t i = 0; i < STATE_PARSER_NAMES; i++) {
        Py_CLEAR(st->parser_names[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        aif_h1parse_free(st->spare_cores[i]);
        st->spare_cores[i] = NULL;
    }
}

typedef struct name_slot {
    PyObject **slot;
    const char *text;
} name_slot;

static int
init_names(core_state *st)
{
    const name_slot names[] = {
        {&st->str_call_soon, "call_soon"},
        {&st->str_call_soon_threadsafe, "call_soon_threadsafe"},
        {&st->str_call_later, "call_later"},
        {&st->str_cancel, "cancel"},
        {&st->str_wrap_bio, "wrap_bio"},
        {&st->str_items, "items"},
        {&st->str_read, "read"},
        {&st->str_write, "write"},
        {&st->str_write_eof, "write_eof"},
        {&st->str_do_handshake, "do_handshake"},
        {&st->str_unwrap, "unwrap"},
        {&st->str_session, "session"},
        {&st->str_ok, "OK"},
        {&st->str_data_received, "data_received"},
        {&st->str_get_buffer, "get_buffer"},
        {&st->str_buffer_updated, "buffer_updated"},
        {&st->str_eof_received, "eof_received"},
        {&st->str_connection_lost, "connection_lost"},
        {&st->str_pause_writing, "pause_writing"},
        {&st->str_resume_writing, "resume_writing"},
        {&st->str_module, "__module__"},
        {&st->str_run_once, "_run_once"},
        {&st->str_selector, "_selector"},
        {&st->str_ready, "_ready"},
        {&st->str_scheduled, "_scheduled"},
        {&st->str_when, "_when"},
        {&st->str_stopping, "_stopping"},
        {&st->str_debug, "_debug"},
        {&st->str_headers, "headers"},
        {&st->str_json, "json"},
        {&st->str_data, "data"},
        {&st->str_params, "params"},
        {&st->str_timeout, "timeout"},
        {&st->str_ssl, "ssl"},
        {&st->str_allow_redirects, "allow_redirects"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        *names[i].slot = PyUnicode_InternFromString(names[i].text);
        if (*names[i].slot == NULL) {
            return -1;
        }
    }
    st->kw_context = Py_BuildValue("(s)", "context");
    st->kw_wrap = Py_BuildValue("(ss)", "server_hostname", "session");
    st->empty_bytes = PyBytes_FromStringAndSize(NULL, 0);
    st->empty_tuple = PyTuple_New(0);
    return st->kw_context == NULL || st->kw_wrap == NULL
                   || st->empty_bytes == NULL || st->empty_tuple == NULL
               ? -1
               : 0;
}

int
state_init(core_state *st, PyObject *module)
{
    st->module = module;
    aif_list_init(&st->hosts);
    aif_list_init(&st->orphans);
    if (init_names(st) < 0
        || state_import(&st->get_running_loop, "asyncio.events",
                        "get_running_loop")
               < 0
        || state_import(&st->cancelled_error, "asyncio.exceptions",
                        "CancelledError")
               < 0
        || state_import(&st->invalid_state_error, "asyncio.exceptions",
                        "InvalidStateError")
               < 0)
    {
        return -1;
    }
    if (wait_type_init(st) < 0 || fetch_type_init(st) < 0
        || options_type_init(st) < 0 || pool_type_init(st) < 0
        || caller_type_init(st) < 0 || host_type_init(st) < 0
        || response_type_init(st) < 0 || upload_type_init(st) < 0
        || dial_type_init(st) < 0 || pread_type_init(st) < 0
        || transport_type_init(st) < 0)
    {
        return -1;
    }
    if (parser_type_init(st) < 0 || parsed_url_type_init(st) < 0) {
        return -1;
    }
    return 0;
}
