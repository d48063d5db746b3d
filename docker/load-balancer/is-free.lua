-- Has the replica llama-<number> a free slot, and does it not drain? HAProxy's own conditions can ask the first only about
-- a server that the configuration names, and the second not at all. See haproxy.cfg.
core.register_converters("is_free", function(number)
  local server = core.backends.replicas.servers["llama-" .. number]
  return server ~= nil and not server:is_draining() and server:get_cur_sess() < server:get_maxconn()
end)
