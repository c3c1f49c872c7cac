# A system job: Serai on ports 80 of every node, reading Nomad's own catalog through the Task API.
# Needs a checkout of Serai in /opt/serai on the nodes and the raw_exec driver; with ACLs on also the policy of docs/nomad.md:
#   nomad acl policy apply -namespace default -job serai serai policy.hcl
job "serai" {
  type = "system"

  group "ingress" {
    network {
      port "http" { static = 80 }
      port "health" { static = 9081 }
    }

    # The balancer moves away during lame duck, so the task gets that time and the drain's before it is killed.
    task "serai" {
      driver       = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "30s" # clients cap this by max_kill_timeout (30s by default)

      # The Task API's socket always asks for a token: this one, which Serai finds by itself.
      identity {
        env  = true
        file = true
      }

      config {
        command = "/opt/serai/node_modules/.bin/node"
        args    = ["/opt/serai/src/main.ts", "run", "--config", "${NOMAD_TASK_DIR}/serai.yaml"]
      }

      template {
        destination = "local/serai.yaml"
        change_mode = "noop" # Serai watches it
        data        = <<-YAML
          listeners: { http: { address: ":80" } }
          health:    { address: ":9081" }
          catalogs:  { nomad: { namespaces: ["*"] } }
          # claims:  [{ catalog: nomad, namespace: team-a, hosts: ["*.team-a.example.org"] }]
          state:     { path: /var/lib/serai } # survives the task: what a node serves that starts while Nomad is down
        YAML
      }

      resources {
        cpu    = 500
        memory = 512
      }

      service {
        name     = "serai"
        provider = "nomad"
        port     = "health"
        check {
          type     = "http"
          path     = "/live"
          interval = "10s"
          timeout  = "2s"
        }
      }
    }
  }
}
